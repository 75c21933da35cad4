BB0:
	v_mbcnt_lo_u32_b32 v1, -1, 0                                ; d71f0001 000100c1
	v_mov_b32_e32 v4, 0                                         ; 7e080280
	v_mov_b32_e32 v5, 0                                         ; 7e0a0280
	v_mov_b32_e32 v6, 0                                         ; 7e0c0280
	v_mov_b32_e32 v7, 0                                         ; 7e0e0280
	v_mbcnt_hi_u32_b32 v1, -1, v1                               ; d7200001 000202c1
	s_delay_alu instid0(VALU_DEP_1)                             ; bf870001
	v_lshlrev_b32_e32 v1, 4, v1                                 ; 30020284
	ds_store_b128 v1, v[4:7]                                    ; db7c0000 00000401
	s_movk_i32 s3, 0x8000                                       ; b0038000
	s_load_b128 s[4:7], s[2:3], null                            ; f4080101 f8000000
	v_mov_b32_e32 v4, 0                                         ; 7e080280
	v_mov_b32_e32 v5, 0                                         ; 7e0a0280
	v_mov_b32_e32 v6, 0                                         ; 7e0c0280
	v_mov_b32_e32 v7, 0                                         ; 7e0e0280
	s_mov_b32 s1, -1                                            ; be8100c1
	s_bfm_b64 s[8:9], 32, 0                                     ; 958880a0
	s_waitcnt lgkmcnt(0)                                        ; bf89fc07
	s_lshr_b32 s0, s6, 4                                        ; 85008406
BB1:
	s_delay_alu instid0(SALU_CYCLE_1)                           ; bf870009
	s_cmp_ge_u32 s9, s0                                         ; bf090009
	s_cbranch_scc1 BB13                                         ; bfa2002b
BB4:
	v_add_lshl_u32 v1, s9, v0, 4                                ; d6470001 02120009
	buffer_load_b128 v[8:11], v1, s[4:7], 0 offen               ; e05c0000 80410801
	v_lshlrev_b32_e32 v2, 4, v0                                 ; 30040084
	s_waitcnt vmcnt(0)                                          ; bf8903f7
	ds_store_b128 v2, v[8:11]                                   ; db7c0000 00000802
	s_mov_b32 s10, 0                                            ; be8a0080
	s_set_inst_prefetch_distance 0x2                            ; bf840002
BB5:
	s_delay_alu instid0(SALU_CYCLE_1) | instskip(SKIP_2) | instid1(VALU_DEP_2) ; bf870139
	s_lshl_b32 s11, s10, 4                                      ; 840b840a
	v_add_nc_u32_e32 v2, s10, v0                                ; 4a04000a
	v_mov_b32_e32 v1, s11                                       ; 7e02020b
	v_and_b32_e32 v3, 0xffffffc0, v2                            ; 360604ff ffffffc0
	s_delay_alu instid0(VALU_DEP_1) | instskip(NEXT) | instid1(VALU_DEP_1) ; bf870091
	v_sub_nc_u32_e32 v2, v2, v3                                 ; 4c040702
	v_lshlrev_b32_e32 v2, 4, v2                                 ; 30040484
	ds_load_b32 v1, v1                                          ; d8d80000 01000001
	ds_load_b128 v[8:11], v2                                    ; dbfc0000 08000002
	s_add_u32 s10, s10, 1                                       ; 800a810a
	s_delay_alu instid0(SALU_CYCLE_1)                           ; bf870009
	s_cmp_ge_u32 s10, 64                                        ; bf09c00a
	s_waitcnt lgkmcnt(0)                                        ; bf89fc07
	v_fmac_f32_e32 v4, v1, v8                                   ; 56081101
	v_fmac_f32_e32 v5, v1, v9                                   ; 560a1301
	v_fmac_f32_e32 v6, v1, v10                                  ; 560c1501
	v_fmac_f32_e32 v7, v1, v11                                  ; 560e1701
	s_cbranch_scc0 BB5                                          ; bfa1ffea
BB9:
	s_set_inst_prefetch_distance 0x3                            ; bf840003
	s_cmp_eq_i32 s8, 0                                          ; bf008008
	s_delay_alu instid0(SALU_CYCLE_1) | instskip(SKIP_1) | instid1(SALU_CYCLE_1) ; bf8704a9
	s_sub_i32 s1, s1, src_scc                                   ; 8181fd01
	s_add_u32 s8, s8, -1                                        ; 8008c108
	s_max_u32 s10, s1, s8                                       ; 8a8a0801
	s_delay_alu instid0(SALU_CYCLE_1)                           ; bf870009
	s_cmp_eq_i32 s10, 0                                         ; bf00800a
	s_cbranch_scc1 BB13                                         ; bfa20002
BB12:
	s_add_u32 s9, s9, 64                                        ; 8009c009
	s_branch BB1                                                ; bfa0ffd2
BB13:
	s_load_b128 s[0:3], s[2:3], 0x10                            ; f4080001 f8000010
	v_lshlrev_b32_e32 v0, 4, v0                                 ; 30000084
	s_waitcnt lgkmcnt(0)                                        ; bf89fc07
	buffer_store_b128 v[4:7], v0, s[0:3], 0 offen               ; e0740000 80400400
	s_nop 0                                                     ; bf800000
	s_sendmsg sendmsg(MSG_DEALLOC_VGPRS)                        ; bfb60003
	s_endpgm                                                    ; bfb00000
